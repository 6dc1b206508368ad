"""What a training needs in memory and time on given hardware, before any hardware is there."""
