"""`attention-course`: the course's command line."""

import click

from course_lib.grading.command import doctor, grade
from course_lib.grading.reports.command import export, verify
from course_lib.pretrained.command import complete
from course_lib.training.command import train


@click.group()
def main():
    """The attention course on the command line."""


main.add_command(train)
main.add_command(complete)
main.add_command(grade)
main.add_command(doctor)
main.add_command(verify)
main.add_command(export)


if __name__ == "__main__":
    main()
