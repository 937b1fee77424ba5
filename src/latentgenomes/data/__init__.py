"""Files, network and archives: the registry of public data sets, their loaders, and the simulators."""
