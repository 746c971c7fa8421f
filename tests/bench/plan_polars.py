"""The plan of ``plan_ours.py`` by polars alone: it finds the changes, and checks nothing.

plan_polars.py INPUT.csv KNOWN.parquet
"""

import sys

import polars as pl


def main() -> None:
    source, known = sys.argv[1:]
    rows = pl.read_csv(source, infer_schema=False)
    rows = rows.unique("PKey", keep="first", maintain_order=True)
    joined = rows.join(
        pl.read_parquet(known), on="PKey", how="left", suffix="_now", maintain_order="left"
    )
    differs = (pl.col("ccpaOptOut") == "true") != pl.col("ccpaOptOut_now")
    assert joined.select(differs.sum()).item() > 0


if __name__ == "__main__":
    main()
