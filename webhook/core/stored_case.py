"""What a rule looks at in an audit only: stored objects that are no endpoints themselves."""

from msgspec import Struct

from webhook.core.grants import Grant
from webhook.core.inventory import Inventory
from webhook.core.objects import Pod, Service


class PodCase(Struct, frozen=True, gc=False):
    """A Pod and everything known of the cluster around it."""

    pod: Pod
    inventory: Inventory


class ServiceCase(Struct, frozen=True, gc=False):
    """A Service and everything known of the cluster around it."""

    service: Service
    inventory: Inventory


class GrantCase(Struct, frozen=True, gc=False):
    """What a RoleBinding or ClusterRoleBinding gives one of its subjects."""

    grant: Grant
