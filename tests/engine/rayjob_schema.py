"""The fields of KubeRay's RayJob that `cluster/kuberay-rayjob.yaml` may use, as JSON Schema.

Names and types are those of KubeRay's API reference for ray.io/v1 (1.5.1 and later, for
`authOptions`) and of Kubernetes' core/v1: https://docs.ray.io/en/latest/cluster/kubernetes/
references.html. Every object is closed, so that a misspelt field fails as strict validation in
`kubectl apply` fails.
"""

from typing import Any

TEXT = {"type": "string"}
WHOLE = {"type": "integer", "minimum": 0}
BOOLEAN = {"type": "boolean"}
TEXTS = {"type": "object", "additionalProperties": TEXT}
QUANTITY = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[numkMGTPE])?$"}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}


def closed(*required: str, **fields: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(required),
        "additionalProperties": False,
    }


def list_of(item: Any) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


RESOURCES = closed(requests=QUANTITIES, limits=QUANTITIES)
CONTAINER = closed(
    "name",
    "image",
    name=TEXT,
    image=TEXT,
    imagePullPolicy={"enum": ["Always", "IfNotPresent", "Never"]},
    env=list_of(closed("name", name=TEXT, value=TEXT)),
    resources=RESOURCES,
    volumeMounts=list_of(closed("name", "mountPath", name=TEXT, mountPath=TEXT, readOnly=BOOLEAN)),
)
VOLUME = closed(
    "name",
    name=TEXT,
    persistentVolumeClaim=closed("claimName", claimName=TEXT, readOnly=BOOLEAN),
    emptyDir=closed(medium={"enum": ["", "Memory"]}, sizeLimit=QUANTITY),
)
TOLERATION = closed(
    key=TEXT,
    operator={"enum": ["Exists", "Equal"]},
    value=TEXT,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
)
POD_TEMPLATE = closed(
    "spec",
    metadata=closed(labels=TEXTS, annotations=TEXTS),
    spec=closed(
        "containers",
        containers=list_of(CONTAINER),
        volumes=list_of(VOLUME),
        nodeSelector=TEXTS,
        tolerations=list_of(TOLERATION),
        serviceAccountName=TEXT,
        restartPolicy={"enum": ["Always", "OnFailure", "Never"]},
    ),
)
RAY_CLUSTER_SPEC = closed(
    "headGroupSpec",
    rayVersion=TEXT,
    authOptions=closed(mode={"enum": ["disabled", "token"]}, secretName=TEXT),
    enableInTreeAutoscaling=BOOLEAN,
    autoscalerOptions=closed(
        idleTimeoutSeconds=WHOLE,
        upscalingMode={"enum": ["Default", "Aggressive", "Conservative"]},
        version={"enum": ["v1", "v2"]},
        resources=RESOURCES,
    ),
    headGroupSpec=closed(
        "template",
        rayStartParams=TEXTS,
        template=POD_TEMPLATE,
        serviceType=TEXT,
        enableIngress=BOOLEAN,
    ),
    workerGroupSpecs=list_of(
        closed(
            "groupName",
            "template",
            groupName=TEXT,
            replicas=WHOLE,
            minReplicas=WHOLE,
            maxReplicas=WHOLE,
            idleTimeoutSeconds=WHOLE,
            numOfHosts=WHOLE,
            rayStartParams=TEXTS,
            template=POD_TEMPLATE,
        )
    ),
)
RAY_JOB = closed(
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    apiVersion={"const": "ray.io/v1"},
    kind={"const": "RayJob"},
    metadata=closed("name", name=TEXT, namespace=TEXT, labels=TEXTS),
    spec=closed(
        "rayClusterSpec",
        entrypoint=TEXT,
        runtimeEnvYAML=TEXT,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]},
        backoffLimit=WHOLE,
        activeDeadlineSeconds=WHOLE,
        shutdownAfterJobFinishes=BOOLEAN,
        ttlSecondsAfterFinished=WHOLE,
        suspend=BOOLEAN,
        rayClusterSpec=RAY_CLUSTER_SPEC,
    ),
)
PERSISTENT_VOLUME_CLAIM = closed(
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    apiVersion={"const": "v1"},
    kind={"const": "PersistentVolumeClaim"},
    metadata=closed("name", name=TEXT, namespace=TEXT),
    spec=closed(
        "accessModes",
        "resources",
        accessModes=list_of(
            {"enum": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]}
        ),
        storageClassName=TEXT,
        resources=RESOURCES,
    ),
)
