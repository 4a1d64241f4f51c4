# What endpoints-guard's rules about Service, Pods, ports and targetRefs say, for Gatekeeper.
#
# Written to be fast: a Pod is looked up by the name in targetRef, never searched for; only the few
# fields that count are read from the inventory, because every read of a stored object converts it;
# conditions are put so that a good entry is looked at once, and words are only found for a bad one.
package endpoints

review := input.review

written := review.object

namespace := review.namespace

service_name := written.metadata.name if review.kind.kind == "Endpoints"

service_name := written.metadata.labels["kubernetes.io/service-name"] if {
	review.kind.kind == "EndpointSlice"
}

service := data.inventory.namespace[namespace].v1.Service[service_name].spec

default selector := {}

selector := service.selector if service.type != "ExternalName"

default selects := false

selects if count(selector) > 0

# Parts: entries that share ports. An entry is a pair: an address, and what is said beside it.

parts := [part |
	some subset in written.subsets
	ready := [[entry.ip, entry] | some entry in subset.addresses]
	waiting := [[entry.ip, entry] | some entry in subset.notReadyAddresses]
	part := [array.concat(ready, waiting), object.get(subset, "ports", [])]
] if review.kind.kind == "Endpoints"

parts := [[entries, object.get(written, "ports", [])]] if {
	review.kind.kind == "EndpointSlice"
	entries := [[ip, entry] | some entry in written.endpoints; some ip in entry.addresses]
}

# A Service with a selector: every entry is one of its Pods.

violation contains {"msg": msg} if {
	selects
	some [entries, _] in parts
	some [ip, entry] in entries
	not is_selected_pod(ip, entry)
	msg := sprintf("%v is not the Pod in its targetRef, or Service %v does not select it", [ip, service_name])
}

is_selected_pod(ip, entry) if {
	ref := entry.targetRef
	ref.kind == "Pod"
	object.get(ref, "namespace", namespace) == namespace
	object.get(ref, "apiVersion", "v1") == "v1"
	name := ref.name
	data.inventory.namespace[namespace].v1.Pod[name].status.podIPs[_].ip == ip
	not data.inventory.namespace[namespace].v1.Pod[name].status.phase in ended
	node := data.inventory.namespace[namespace].v1.Pod[name].spec.nodeName
	object.get(entry, "nodeName", node) == node
	metadata := data.inventory.namespace[namespace].v1.Pod[name].metadata
	object.get(ref, "uid", metadata.uid) == metadata.uid
	object.subset(metadata.labels, selector)
}

ended := {"Succeeded", "Failed"}

# Its ports are those of the Service.

violation contains {"msg": msg} if {
	selects
	some [entries, ports] in parts
	some port in ports
	not is_service_port(port, entries)
	msg := sprintf("port %v is not what Service %v offers", [object.get(port, "port", "any"), service_name])
}

is_service_port(port, entries) if {
	some offered in service.ports
	object.get(offered, "name", "") == object.get(port, "name", "")
	offered.protocol == port.protocol
	object.get(offered, "appProtocol", "") == object.get(port, "appProtocol", "")
	leads_to(offered, port, entries)
}

leads_to(offered, port, _) if offered.targetPort == port.port

leads_to(offered, port, entries) if {
	is_string(offered.targetPort)
	every pair in entries {
		pod := data.inventory.namespace[namespace].v1.Pod[pair[1].targetRef.name]
		numbers := [number |
			some container in pod.spec.containers
			some declared in container.ports
			declared.name == offered.targetPort
			declared.protocol == port.protocol
			number := declared.containerPort
		]
		numbers[0] == port.port
	}
}

# Without a selector: nobody else's Pod, no node, no other Service, no special address.

violation contains {"msg": msg} if {
	not selects
	some [entries, _] in parts
	some [ip, _] in entries
	msg := sprintf("%v is %v", [ip, forbidden(ip)])
}

forbidden(ip) := "a name, which cannot be verified" if {
	written.addressType == "FQDN"
} else := "the address of a node" if {
	ip in node_ips
} else := "the address of a Pod of another namespace" if {
	ip in foreign_pod_ips
} else := "the address of a Service of another namespace" if {
	ip in foreign_service_ips
} else := "a special address" if {
	some cidr in special
	net.cidr_contains(cidr, ip)
}

special := {
	"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
	"100.100.100.200/32", "192.0.0.192/32", "::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8",
}

node_ips contains data.inventory.cluster.v1.Node[_].status.addresses[_].address

foreign_pod_ips contains ip if {
	some other, name
	status := data.inventory.namespace[other].v1.Pod[name].status
	other != namespace
	not status.phase in ended
	ip := status.podIPs[_].ip
}

foreign_service_ips contains ip if {
	some other, name
	ip := data.inventory.namespace[other].v1.Service[name].spec.clusterIPs[_]
	other != namespace
	ip != "None"
}

# A targetRef that is a Pod's is of a Pod that there is.

violation contains {"msg": msg} if {
	not selects
	some [entries, _] in parts
	some [ip, entry] in entries
	is_wrong(entry.targetRef)
	msg := sprintf("the targetRef of %v is of no Pod of this namespace", [ip])
}

is_wrong(ref) if not object.get(ref, "namespace", namespace) == namespace

is_wrong(ref) if {
	names_pod(ref)
	not is_there(ref)
}

names_pod(ref) if {
	ref.kind == "Pod"
	object.get(ref, "apiVersion", "v1") == "v1"
}

is_there(ref) if {
	uid := data.inventory.namespace[namespace].v1.Pod[ref.name].metadata.uid
	object.get(ref, "uid", uid) == uid
}

# What no entry can make good.

violation contains {"msg": "a Service of type ExternalName has no endpoints"} if {
	service.type == "ExternalName"
	some [entries, _] in parts
	count(entries) > 0
}

violation contains {"msg": "the endpoints of default/kubernetes belong to API servers"} if {
	namespace == "default"
	service_name == "kubernetes"
}
