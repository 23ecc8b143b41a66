"""What runs beside a GPU: train, evaluate, package. `train.py` is where to begin reading."""
