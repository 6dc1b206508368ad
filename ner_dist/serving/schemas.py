"""Requests and answers of the API, as pydantic models from which its OpenAPI description is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from ner_dist.serving.limits import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ner_dist.prediction.entities import TaggedItem
    from ner_dist.serving.settings import Limits


class PredictRequest(BaseModel):
    """Texts to tag, or sentences that are split into words already."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [{"required": ["texts"]}, {"required": ["tokens"]}],
            "example": {"texts": ["Anna Berg visits York."]},
        },
    )

    texts: list[str] = []
    tokens: list[list[str]] = []
    model: str = "A"

    @model_validator(mode="after")
    def _one_of_both(self) -> PredictRequest:
        if len({"texts", "tokens"} & self.model_fields_set) != 1:
            raise ValueError("give either texts or tokens")
        return self


class FoundEntity(BaseModel):
    """An entity in a text or in a list of words."""

    start: int | None = Field(None, description="Its first character, in code points from 0; only in texts.")
    end: int | None = Field(None, description="The character after its last; only in texts.")
    type: str
    text: str = Field(description="The text from start to end; words of a list are joined by spaces.")
    probability: float = Field(ge=0, le=1, description="Product of the probabilities of its words' tags.")
    first_word: int = Field(description="Index of its first word, from 0.")
    last_word: int = Field(description="Index of its last word.")


class TaggedText(BaseModel):
    """The entities of one text, in its order."""

    entities: list[FoundEntity]


class PredictResponse(BaseModel):
    """The result of each text, in the order of the request."""

    model: str = Field(description="Letter of the model that tagged them.")
    results: list[TaggedText]

    @classmethod
    def of(cls, model: str, tagged: Sequence[TaggedItem]) -> PredictResponse:
        """The answer with a model's entities."""
        results = [
            TaggedText.model_construct(
                entities=[FoundEntity.model_construct(**vars(each)) for each in item.entities]
            )
            for item in tagged
        ]
        return cls.model_construct(model=model, results=results)


class ModelInfo(BaseModel):
    """A model that is served."""

    model: str = Field(description="Its letter, to name it in a request.")
    name: str
    types: list[str]
    precision: str
    device: str


class Health(BaseModel):
    """The state of the server."""

    status: Literal["ok"]
    version: str
    models: list[ModelInfo]


class Error(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="One sentence: what is wrong, and the limit if there is one.")


def request_model(limits: Limits, letters: Sequence[str]) -> type[PredictRequest]:
    """The model of requests within the limits, to the models that are served."""
    word = Annotated[str, Field(max_length=limits.characters)]
    sentence = Annotated[list[word], Field(max_length=limits.characters)]
    several: dict[str, Any] = {"default": [], "max_length": limits.texts}
    fields: dict[str, Any] = {
        "texts": (list[word], Field(**several, description="Texts of any language, of any number of lines.")),
        "tokens": (list[sentence], Field(**several, description="Sentences, each a list of its words.")),
        "model": (Literal[tuple(letters)], Field(default=letters[0], description="Letter of the model.")),
    }
    return create_model("PredictRequest", __base__=PredictRequest, __doc__=PredictRequest.__doc__, **fields)


def parse(body: bytes, form: type[PredictRequest]) -> PredictRequest:
    """A request from its JSON.

    Raises:
        Refused: with 422, if it is not of this form.
    """
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        what = first["msg"].removeprefix("Value error, ").rstrip(".")
        where = f" at {place.lstrip('.')}" if place else ""
        raise Refused(422, f"The request is not understood{where}: {what}.") from None
