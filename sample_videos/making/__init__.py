"""How the sample videos were made; the fake-making functions can be imported and re-used on other clips."""
