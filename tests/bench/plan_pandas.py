"""The plan of ``plan_ours.py`` by pandas alone: it finds the changes, and checks nothing.

plan_pandas.py INPUT.csv KNOWN.parquet
"""

import sys

import pandas as pd


def main() -> None:
    source, known = sys.argv[1:]
    rows = pd.read_csv(source, dtype=str).drop_duplicates("PKey")
    joined = rows.merge(pd.read_parquet(known), on="PKey", how="left", suffixes=("", "_now"))
    assert ((joined["ccpaOptOut"] == "true") != joined["ccpaOptOut_now"]).sum() > 0


if __name__ == "__main__":
    main()
