from __future__ import annotations

from coatcheck import errors
from coatcheck._app.field_errors import FieldError
from coatcheck._app.submit import SubmitOptions
from coatcheck._cli.spec_options import SPEC_OPTIONS, option_of, with_options


def test_fields_are_spelled_as_options() -> None:
    """The command line replaces fields by options, in the message and in the remedy."""
    error = FieldError("{branch} needs {repository}", fields=("branch", "repository"), remedy="pass {branch}")

    assert ("branch needs repository", "pass branch") == (str(error), error.remedy)
    spelled = with_options(error)
    assert ("--branch needs --repo", "pass --branch") == (str(spelled), getattr(spelled, "remedy", None))


def test_values_are_not_fields() -> None:
    """Braces in a value are text."""
    error = FieldError("{name} of {branch}", fields=("branch",), name="{branch}")

    assert "{branch} of --branch" == str(with_options(error))


def test_the_public_class_is_reported() -> None:
    """What the command line reports is the public error."""
    assert errors.ConfigurationError is type(with_options(FieldError("x")))


def test_every_field_has_an_option() -> None:
    """Each field of a submission is in the table of options, or is an option of one command."""
    fields = {option.field for option in SPEC_OPTIONS}

    assert {"requires_approval"} == set(SubmitOptions.__struct_fields__) - fields
    assert "--plan-approval" == option_of("requires_approval")
