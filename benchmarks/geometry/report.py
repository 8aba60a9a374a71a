"""All of it in one run: `python -m benchmarks geometry [--json FILE]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..timing import gpu_name, machine
from . import aliasing, construction, exporting, restoring, roundtrip, scaling, showing
from .one_read import SAMPLER
from .restoring import DEFAULT

__all__ = ["collect", "measure", "rounded", "summary", "table"]

_Rows = list[dict[str, Any]]


def measure() -> dict[str, Any]:
    """The machine, the figures that matter, and all rows behind them."""
    gpu = gpu_name()
    rows = collect()
    found: dict[str, Any] = rounded({"machine": machine(gpu), **summary(rows), **rows})
    return found


def collect() -> dict[str, _Rows]:
    """Rows by subject."""
    kinds = [("cpu", torch.float64), ("cpu", torch.float32)]
    if torch.cuda.is_available():
        kinds += [("cuda", torch.float64), ("cuda", torch.float32)]
    return {
        "construction": [row for kind in kinds for row in construction.measure(device=kind[0], dtype=kind[1])],
        "roundtrip": roundtrip.measure(),
        "aliasing": aliasing.measure(),
        "restoring": restoring.measure_alone(),
        "viewports": showing.measure(),
        "export": exporting.measure(),
        "size": scaling.measure(),
    }


def summary(rows: dict[str, _Rows]) -> dict[str, float]:
    """One number for each subject; without a sampler in its name a key is the default sampler's, or the worst of all.

    Keys
    ----
    construction_speedup, construction_speedup_float32
        A dense convolution's time over that of our attraction on the CPU.
    restore_speedup, restore_speedup_linear
        The time of scipy's nearest and linear interpolation of all classes over ours.
    restore_iou_gain, restore_iou_gain_linear
        Mean IoU of ours less that of the nearest point, and less that of linear interpolation.
    anti_aliasing_gain
        Ceiling mean IoU of reads over the footprint less that of reads at points.
    size_time_ratio, size_peak_mb
        Time of the large image over that of the small one; memory growth for the large one.
    viewport_ms, confidence_ms
        The slowest viewport of labels and of confidence, over samplers, pictures, levels and places.
    export_ratio
        Time to write zeros over that of a mask of islands.
    roundtrip_px
        The largest error there and back, over samplers and densities.
    """
    made = {row["dtype"]: row["ratio"] for row in _where(rows["construction"], device="cpu", sampler="attraction")}
    restored = _where(rows["restoring"], sampler=DEFAULT)[0]
    read = _where(rows["aliasing"], sampler=DEFAULT)[0]
    small, large = rows["size"][:2]
    labels = [row["ms"] for row in rows["viewports"] if row["shown"] == "labels"]
    confidence = [row["ms"] for row in rows["viewports"] if row["shown"] != "labels"]
    return {
        "construction_speedup": made["float64"],
        "construction_speedup_float32": made["float32"],
        "restore_speedup": restored["speedup_nearest"],
        "restore_speedup_linear": restored["speedup_linear"],
        "restore_iou_gain": restored["iou_ours"] - restored["iou_nearest"],
        "restore_iou_gain_linear": restored["iou_ours"] - restored["iou_linear"],
        "anti_aliasing_gain": read["iou_anti_aliased"] - read["iou_points"],
        "size_time_ratio": large["seconds"] / small["seconds"],
        "size_peak_mb": large["growth_mb"],
        "viewport_ms": max(labels),
        "confidence_ms": max(confidence),
        "export_ratio": _where(rows["export"], sampler=DEFAULT, picture="islands")[0]["ratio"],
        "roundtrip_px": max(row["px"] for row in rows["roundtrip"]),
    }


def rounded(value: Any) -> Any:
    """The same with every float to four figures."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def table(figures: dict[str, Any]) -> str:
    """What `measure` found as a Markdown table of ratios; over 1, ours is faster or better."""
    head = ["| what | sampler | against | ratio | ours | theirs |", "|---|---|---|---|---|---|"]
    lines = [f"| {' | '.join(cells)} |" for part in _PARTS for cells in part(figures)]
    return "\n".join([*head, *lines, "", f"Measured on {figures['machine']}.", ""])


_Cells = Iterator[tuple[str, ...]]


def _made(figures: dict[str, Any]) -> _Cells:
    theirs: dict[tuple[str, str], float] = {}
    for row in figures["construction"]:
        kind = row["device"], row["dtype"]
        if "both_ms" not in row:
            theirs[kind] = row["make_ms"]
            continue
        # what there is nothing to make for has no ratio worth a line
        if row["sampler"] == "uniform":
            continue
        what = f"make a warp, {', '.join(kind)}"
        pair = f"{row['make_ms']:.3g} ms", f"{theirs[kind]:.3g} ms"
        yield what, row["sampler"], "dense 2-D convolution", f"{row['ratio']:.3g}", *pair
        if "difference" in row:
            apart = f"{row['difference']:.1g} cells"
            yield f"farthest apart, {', '.join(kind)}", row["sampler"], "dense 2-D convolution", "-", apart, "-"
        if row["device"] == "cuda":
            cpu = _where(figures["construction"], device="cpu", dtype=row["dtype"], sampler=row["sampler"])[0][
                "both_ms"
            ]
            pair = f"{row['both_ms']:.3g} ms", f"{cpu:.3g} ms"
            yield f"there and back, {', '.join(kind)}", row["sampler"], "CPU", f"{cpu / row['both_ms']:.3g}", *pair


def _restored(figures: dict[str, Any]) -> _Cells:
    names = {
        "nearest": "scipy nearest, 19 values",
        "nearest_id": "scipy nearest, ids",
        "nearest_id_all_cores": "scipy nearest, ids, all cores",
        "linear": "scipy linear, 19 values",
    }
    for row in figures["restoring"]:
        for key, name in names.items():
            if f"{key}_s" in row:
                pair = f"{1e3 * row['ours_s']:.3g} ms", f"{1e3 * row[f'{key}_s']:.4g} ms"
                yield "restore, time", row["sampler"], name, f"{row[f'speedup_{key}']:.3g}", *pair
        for key, name in {"nearest": "nearest", "linear": "linear", "linear_sharpened": "linear, sharpened"}.items():
            ours, other = row["iou_ours"], row[f"iou_{key}"]
            yield (
                "restore, mean IoU",
                row["sampler"],
                f"scipy {name}",
                f"{ours / other:.3f}",
                f"{ours:.3f}",
                f"{other:.3f}",
            )


def _aliased(figures: dict[str, Any]) -> _Cells:
    for row in figures["aliasing"]:
        ours, other = row["iou_anti_aliased"], row["iou_points"]
        ratio = f"{ours / other:.3f}"
        yield "read, ceiling mean IoU", row["sampler"], "reads at points", ratio, f"{ours:.3f}", f"{other:.3f}"


def _sized(figures: dict[str, Any]) -> _Cells:
    small, *larger = figures["size"]
    for row in larger:
        what = f"{row['image']}: open and sample"
        taken = f"{row['seconds']:.2f} s", f"{small['seconds']:.2f} s"
        yield what, SAMPLER, f"{small['image']}, time", f"{small['seconds'] / row['seconds']:.3g}", *taken
        read = (
            f"{row['mb_read']:.1f} MB, {row['chunks']} chunks",
            f"{small['mb_read']:.1f} MB, {small['chunks']} chunks",
        )
        yield what, SAMPLER, f"{small['image']}, bytes", f"{small['mb_read'] / row['mb_read']:.3g}", *read
        grown = f"{row['growth_mb']:.0f} MB", f"{small['growth_mb']:.0f} MB"
        yield what, SAMPLER, f"{small['image']}, memory", f"{small['growth_mb'] / row['growth_mb']:.3g}", *grown


def _shown(figures: dict[str, Any]) -> _Cells:
    for sampler in dict.fromkeys(row["sampler"] for row in figures["viewports"]):
        mine = _where(figures["viewports"], sampler=sampler)
        for shown in dict.fromkeys(row["shown"] for row in mine):
            worst = max(row["ms"] for row in _where(mine, shown=shown))
            yield f"viewport of 1,024 x 1,024, {shown}, worst", sampler, "-", "-", f"{worst:.3g} ms", "-"
        first = max(row["first_ms"] for row in mine)
        yield "first viewport of a result", sampler, "-", "-", f"{first:.3g} ms", "-"


def _exported(figures: dict[str, Any]) -> _Cells:
    for row in figures["export"]:
        pair = f"{row['ours_s']:.2f} s", f"{row['zeros_s']:.2f} s"
        what = f"export 40,000 x 40,000, {row['picture']}"
        yield what, row["sampler"], "tifffile, zeros", f"{row['ratio']:.3g}", *pair


def _returned(figures: dict[str, Any]) -> _Cells:
    for sampler in dict.fromkeys(row["sampler"] for row in figures["roundtrip"]):
        worst = max(row["px"] for row in _where(figures["roundtrip"], sampler=sampler))
        yield "there and back, of 100,000 px", sampler, "-", "-", f"{worst:.2g} px", "-"


_PARTS = (_made, _restored, _aliased, _sized, _shown, _exported, _returned)


def _where(rows: _Rows, **values: object) -> _Rows:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]
