"""What tests of services need: fakes that record, for what the core systems are given by keyword."""
