"""What the numbers of a suite say, before anybody prints them: means, fronts, effort, health."""
