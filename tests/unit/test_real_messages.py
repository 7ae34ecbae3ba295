"""What real messages say: measured on the files of LIANDONG_SHARED_DATA, which stay outside the project."""

import pytest

from benchmarks.places import FILES, counties_by_name, folder, measure
from node.domain.divisions import load

TITLES_READ_MIN = 0.97

DATA = folder()
pytestmark = pytest.mark.skipif(
    not (DATA / "divisions-xidi.csv").exists(),
    reason=f"NOT MEASURED: no real messages in {DATA}; set LIANDONG_SHARED_DATA",
)


@pytest.mark.parametrize("name", FILES)
def test_areas_of_real_messages_hold_the_county_their_title_names(name: str) -> None:
    if not (DATA / name).exists():
        pytest.skip(f"NOT MEASURED: {name} is not there")
    tree = load((DATA / "divisions-xidi.csv").read_bytes())
    asked, missed, given = measure(DATA / name, tree, counties_by_name(DATA / "divisions-xidi.csv"))
    assert asked >= 100
    assert len(missed) <= (1 - TITLES_READ_MIN) * asked, missed
    assert given["none"] <= 0.1 * sum(given.values())
