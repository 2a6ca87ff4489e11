"""KServe's open inference protocol beside our own API, for clients and load tools that speak it."""
