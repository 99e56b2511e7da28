"""`python -m torch_stabilize` is `torch-stabilize`."""

from .cli.main import main

if __name__ == "__main__":
    main()
