"""Cells that come, go and take over each other's layers, without a window."""

from hypothesis import given
from hypothesis import strategies as st

from napari_deformdown.plugin.comparison.cell_plan import Plan
from napari_deformdown.plugin.comparison.layer_data import KINDS

NAMES = ("uniform", "learnt", "edge", "attraction", "ground truth")
sets_of_cells = st.lists(st.lists(st.sampled_from(NAMES), unique=True, max_size=4), min_size=1, max_size=8)


@given(sets_of_cells)
def test_whatever_comes_and_goes_no_layer_is_needed_twice_or_lost(choices) -> None:
    plan = Plan()
    for names in map(tuple, choices):
        slots, contents = plan.slots, plan.contents
        renamed = plan.set_names(names)
        assert plan.names == names == tuple(name for name in plan.slots if name in names)
        assert len(set(plan.slots)) == len(plan.slots)
        # a cell that went hands its layers to one that is new, or keeps its place, hidden
        assert set(renamed).isdisjoint(names) and set(renamed.values()).isdisjoint(slots)
        kept = {renamed.get(name, name) for name in slots}
        assert set(plan.slots) == kept | set(names)
        assert len(renamed) == min(len(set(names) - set(slots)), len(set(slots) - set(names)))
        assert all(plan.contents[name] is contents[name] for name in names if name in contents)
        assert plan.front in names or not names


def test_the_rightmost_cell_lies_lowest_and_its_image_under_its_other_layers() -> None:
    plan = Plan()
    plan.set_names(("uniform", "learnt"))
    plan.kinds.update(("points", "segmentation"))
    wanted = plan.wanted()
    assert [cell for cell, _ in wanted] == ["learnt"] * 3 + ["uniform"] * 3
    assert [kind for _, kind in wanted[:3]] == [k for k in KINDS if k in plan.kinds]


def test_side_by_side_all_cells_are_shown_and_otherwise_the_one_in_front() -> None:
    plan = Plan()
    plan.set_names(("uniform", "learnt"))
    assert all(plan.shows((name, "image")) for name in plan.names)
    assert not plan.shows(("uniform", "points")) and not plan.shows(("edge", "image"))
    plan.side_by_side = False
    assert plan.front == "learnt"
    plan.flip()
    assert [plan.shows((name, "image")) for name in plan.names] == [True, False]
    plan.flip("learnt")
    plan.set_names(("uniform", "edge"))  # it takes over what was in front
    assert plan.front == "edge"
