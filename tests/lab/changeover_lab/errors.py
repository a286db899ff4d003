"""The errors a person using the lab gets to see."""


class LabError(Exception):
    """Something the lab could not do.

    Every error answers three questions: what was tried, what came back, what to do now.
    """

    exit_code = 1

    def __init__(self, tried, came_back, advice):
        super().__init__(tried)
        self.tried = tried
        self.came_back = came_back
        self.advice = advice

    def __str__(self):
        return f"{self.tried}\n  came back: {self.came_back}\n  what to do: {self.advice}"


class NotPossibleHere(LabError):
    """The machine or the user lacks something the lab needs (packages, privileges)."""

    exit_code = 2
