"""The cluster in which every example plays: a WordPress Service with two Pods, and a neighbour.

Service, Pods and Endpoints are those of the document that the project started from; the rest is
what one needs to go wrong: a database Service without selector, another tenant's namespace, the
nodes.
"""

from typing import Final

CLUSTER: Final = """\
apiVersion: v1
kind: Service
metadata:
  name: wordpress
  namespace: wordpress-ns
  uid: 0d9e6b5e-63ed-11ea-bd75-005056a6497c
  labels: {app: wordpress}
spec:
  type: LoadBalancer
  selector: {app: wordpress}
  clusterIP: 10.100.200.174
  externalIPs: [100.64.144.7, 192.168.160.115]
  ports:
  - {port: 80, nodePort: 31895, protocol: TCP, targetPort: 80}
---
apiVersion: v1
kind: Pod
metadata:
  name: wordpress-dccb8668f-5dfjc
  namespace: wordpress-ns
  uid: edf43dd1-6708-11ea-bd75-005056a6497c
  labels: {app: wordpress}
spec:
  nodeName: 244dee94-bfa7-4413-9135-34f902040d7e
  containers:
  - {name: wordpress, ports: [{name: http, containerPort: 80}]}
status:
  phase: Running
  podIP: 40.0.4.3
  podIPs: [{ip: 40.0.4.3}]
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Pod
metadata:
  name: wordpress-dccb8668f-ntbm8
  namespace: wordpress-ns
  uid: 0db65784-63ed-11ea-bd75-005056a6497c
  labels: {app: wordpress}
spec:
  nodeName: 9aeea30f-f08b-47b3-b7aa-ef45f3e800b0
  containers:
  - {name: wordpress, ports: [{name: http, containerPort: 80}]}
status:
  phase: Running
  podIP: 40.0.4.4
  podIPs: [{ip: 40.0.4.4}]
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Service
metadata: {name: database, namespace: wordpress-ns}
spec:
  type: ClusterIP
  clusterIP: 10.100.200.33
  ports:
  - {name: mysql, port: 3306, protocol: TCP, targetPort: 3306}
---
apiVersion: v1
kind: Pod
metadata:
  name: wordpress-cron
  namespace: wordpress-ns
  uid: 5b0c2f8e-6708-11ea-bd75-005056a6497c
  labels: {app: cron}
spec:
  nodeName: 244dee94-bfa7-4413-9135-34f902040d7e
  containers:
  - {name: cron}
status:
  phase: Running
  podIP: 40.0.4.5
  podIPs: [{ip: 40.0.4.5}]
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: tenant-b}
spec:
  type: ClusterIP
  selector: {app: vault}
  clusterIP: 10.100.200.90
  ports:
  - {name: https, port: 8200, protocol: TCP, targetPort: 8200}
---
apiVersion: v1
kind: Pod
metadata:
  name: vault-0
  namespace: tenant-b
  uid: 77aa1c1e-6708-11ea-bd75-005056a6497c
  labels: {app: vault}
spec:
  nodeName: 9aeea30f-f08b-47b3-b7aa-ef45f3e800b0
  containers:
  - {name: vault, ports: [{name: https, containerPort: 8200}]}
status:
  phase: Running
  podIP: 40.0.7.8
  podIPs: [{ip: 40.0.7.8}]
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: v1
kind: Node
metadata: {name: 244dee94-bfa7-4413-9135-34f902040d7e}
status:
  addresses: [{type: InternalIP, address: 192.168.160.21}]
---
apiVersion: v1
kind: Node
metadata: {name: 9aeea30f-f08b-47b3-b7aa-ef45f3e800b0}
status:
  addresses: [{type: InternalIP, address: 192.168.160.22}]
"""

ENDPOINTS: Final = """\
apiVersion: v1
kind: Endpoints
metadata:
  creationTimestamp: "2020-03-11T23:07:17Z"
  labels:
    app: wordpress
  name: wordpress
  namespace: wordpress-ns
  resourceVersion: "30785441"
  selfLink: /api/v1/namespaces/wordpress-ns/endpoints/wordpress
  uid: 0daa2245-63ed-11ea-bd75-005056a6497c
subsets:
- addresses:
  - ip: 40.0.4.3
    nodeName: 244dee94-bfa7-4413-9135-34f902040d7e
    targetRef:
      kind: Pod
      name: wordpress-dccb8668f-5dfjc
      namespace: wordpress-ns
      resourceVersion: "30785439"
      uid: edf43dd1-6708-11ea-bd75-005056a6497c
  - ip: 40.0.4.4
    nodeName: 9aeea30f-f08b-47b3-b7aa-ef45f3e800b0
    targetRef:
      kind: Pod
      name: wordpress-dccb8668f-ntbm8
      namespace: wordpress-ns
      resourceVersion: "30463686"
      uid: 0db65784-63ed-11ea-bd75-005056a6497c
  ports:
  - port: 80
    protocol: TCP
"""

EXTERNAL_DATABASE: Final = """\
kind: Endpoints
metadata: {name: database, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 198.51.100.7}]
  ports: [{name: mysql, port: 3306}]
"""
"""What manual endpoints are for: a host outside of the cluster."""

FIRST_POD: Final = """\
kind: Endpoints
metadata: {name: wordpress, namespace: wordpress-ns}
subsets:
- addresses: [{ip: 40.0.4.3, targetRef: {kind: Pod, name: wordpress-dccb8668f-5dfjc}}]
  ports: [{port: 80}]
"""
"""The least that a Service with a selector accepts."""
