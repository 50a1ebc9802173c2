"""Where keys of this very user are found: the environment, files, and services of the machine."""
