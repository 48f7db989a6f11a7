import json

from bitswitch.bench.measured import Measured


def test_json_names_every_cell_and_figure():
    measured = Measured("t", ("what", "time"), (("a", "1 s"),), {"a_s": 1.0})
    decoded = json.loads(json.dumps(measured.as_json()))
    assert decoded == {
        "title": "t",
        "rows": [{"what": "a", "time": "1 s"}],
        "figures": {"a_s": 1.0},
    }
