"""Systems: the protocol that answers turns, how systems are found, composed, wrapped and checked."""
