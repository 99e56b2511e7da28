"""What runs inside the program that is watched: it needs torch and nothing else, and imports nothing of this package.

The program finds this folder under another name (`NAME`) on its path, so a module of its own called codemod stays its.
"""

NAME = "_torch_stabilize_capture"
FOLDER_VARIABLE = "TORCH_STABILIZE_CAPTURE"  # the session's folder
SETTINGS = "settings.json"
