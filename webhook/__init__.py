"""endpoints-guard: judges writes of Kubernetes Endpoints and EndpointSlices."""

__version__ = "0.1.0"
