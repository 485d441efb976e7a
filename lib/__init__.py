"""Licence-plate concealment: the library under the course's notebooks.

Import the module you need (``from lib.data import load_plates``); nothing is
loaded here, so that ``import lib`` stays free of torch and of the network.
"""

import warnings

__version__ = "0.1.0"

# datasets imports tqdm's notebook bar, which asks for widgets that nothing here uses.
warnings.filterwarnings("ignore", message="IProgress not found")
