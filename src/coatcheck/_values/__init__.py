"""The base class of values and their JSON form; imports nothing of coatcheck but `errors`."""
