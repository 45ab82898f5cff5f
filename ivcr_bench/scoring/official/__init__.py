"""The evaluators that the authors of IVCR-200K published, number for number, with every fault a named switch."""
