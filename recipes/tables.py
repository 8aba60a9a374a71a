"""Tables of README, docs and cards, from the figures that the repository holds: `python -m recipes.tables`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.ceiling import table as ceiling_table
from benchmarks.finetune.study import table as finetune_table
from benchmarks.motivation import table as motivation_table
from benchmarks.plugin.report import table as plugin_table
from napari_deformdown.network.catalogue import list_models, load_config
from napari_deformdown.network.config import ModelConfig

from .diagnosis_table import class_table, side_table
from .study_table import ablation_table, crops_table, equal_time_table
from .study_table import table as study_table

__all__ = ["PAGES", "cost_table", "fill", "score_table"]

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("ceilings", "diagnosis", "finetuning", "motivation", "plugin", "study")
    ),
)


def score_table(config: ModelConfig) -> str:
    """Held-out scores of a model as a Markdown table."""
    names = [c.name for c in config.classes]
    rows = config.scores["held_out"]
    sets = dict.fromkeys(row.get("set", config.name) for row in rows)
    lines = []
    for name in sets:
        lines += [f"| {name} at | method | {' | '.join(names)} | mean IoU |", "|---|---|" + "---|" * (len(names) + 1)]
        for row in (row for row in rows if row.get("set", config.name) == name):
            budget = "x".join(str(n) for n in row["budget"])
            cells = " | ".join(f"{row['per_class'][n]:.3f}" for n in names)
            lines.append(f"| {budget} | {row['method']} | {cells} | **{row['miou']:.3f}** |")
        lines.append("")
    return "\n".join(lines[:-1])


def cost_table(figures: dict[str, Any]) -> str:
    """Figures of the benchmark `main_job` as a Markdown table."""
    lines = ["| image | size | seconds | memory growth | read, uniform | read, learnt |", "|---|---|---|---|---|---|"]
    for row in figures["rows"]:
        size = " x ".join(f"{n:,}" for n in row["shape"])
        lines.append(
            f"| {row['image']} | {size} | {row['seconds']:.1f} | {row['growth_mb']} MB "
            f"| {row['uniform_mb_read']} MB | {row['learnt_mb_read']} MB |"
        )
    return "\n".join([*lines, "", f"Measured on {figures['machine']}."])


def fill(text: str) -> str:
    """A page with its tables made anew."""
    configs = [load_config(name) for name in list_models()]
    scores = "\n\n".join(score_table(config) for config in configs if config.scores.get("held_out"))
    tables = {
        "scores": scores,
        "cost": cost_table(_result("main_job")),
        "ceilings": ceiling_table(_result("ceiling")).rstrip(),
        "finetune": finetune_table(_result("finetune")).rstrip(),
        "motivation": motivation_table(_result("motivation")).rstrip(),
        "plugin": plugin_table(_result("plugin")).rstrip(),
        "study": study_table(RESULTS / "study").rstrip(),
        "ablation": ablation_table(RESULTS / "ablation").rstrip(),
        "diagnosis-classes": class_table(RESULTS / "diagnosis").rstrip(),
        "diagnosis-sides": side_table(RESULTS / "diagnosis").rstrip(),
        "crops": crops_table(RESULTS / "crops").rstrip(),
        "equal": equal_time_table(RESULTS / "study").rstrip(),
    }
    for name, table in tables.items():
        pattern = rf"(?<=<!-- {name}:begin -->\n).*?(?=<!-- {name}:end -->)"
        text = re.sub(pattern, f"{table}\n".replace("\\", r"\\"), text, flags=re.S)
    return text


def _result(benchmark: str) -> Any:
    return json.loads((RESULTS / f"{benchmark}.json").read_text("utf-8"))


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(fill(page.read_text("utf-8")), "utf-8")
