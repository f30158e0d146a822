"""Who brings managers together: four coordinators over protocols, and ``assembly``, which builds the default set."""
