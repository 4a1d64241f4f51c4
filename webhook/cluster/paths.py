"""Request paths of the Kubernetes API: made from names, and read for what they name."""

from urllib.parse import quote


def object_path(collection: str, namespace: str, name: str = "") -> str:
    """The path of one object, or of one namespace's part of a collection such as `/api/v1/pods`.

    Raises ValueError for a name that no object can have (apimachinery's path segment rule). Names
    come from what others wrote: `..` must not lead to another resource.
    """
    for segment in (namespace, name):
        if segment in {".", ".."} or "/" in segment or "%" in segment:
            raise ValueError(f"no object can have the name {segment!r}")
    prefix, _, resource = collection.rpartition("/")
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{prefix}{scope}/{resource}" + (f"/{quote(name)}" if name else "")


def resource_of(path: str) -> tuple[str, str]:
    """API group and resource that a request path names; the group of core/v1 is empty."""
    root, *rest = path.strip("/").split("/")
    group, rest = (rest[0], rest[2:]) if root == "apis" else ("", rest[1:])
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource, _name, subresource = (*rest[:3], "", "", "")[:3]
    return group, f"{resource}/{subresource}" if subresource else resource
