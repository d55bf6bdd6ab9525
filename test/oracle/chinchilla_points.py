"""Writes fixtures/scale/chinchilla.csv: 245 training runs that Epoch AI read off figure 4 of Hoffmann et al. (arXiv:2203.15556).

Source: https://github.com/epoch-research/analyzing-chinchilla, data/svg_extracted_data.csv, as it is in shared/data/scaling.
    python chinchilla_points.py ../../../shared/data/scaling/chinchilla.csv
"""

import csv
import pathlib
import sys

rows = list(csv.DictReader(open(sys.argv[1])))
out = pathlib.Path(__file__).parent / "fixtures" / "scale" / "chinchilla.csv"
out.parent.mkdir(exist_ok=True)
columns = ["Model Size", "Training FLOP", "loss"]
out.write_text("\n".join([",".join(columns), *(",".join(row[c] for c in columns) for row in rows)]) + "\n")
