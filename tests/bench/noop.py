"""The floor: a Flask route that takes a review and says yes without looking at it."""

from flask import Flask, Response, request

app = Flask("noop", static_folder=None)

_YES = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
    b'"response":{"uid":"7d1b9c1e-0000-4000-8000-000000000001","allowed":true}}'
)


@app.post("/validate")
def validate() -> Response:
    request.get_data(cache=False)
    return Response(_YES, content_type="application/json")
