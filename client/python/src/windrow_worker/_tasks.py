"""Tasks from leases."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.json_format import MessageToDict

from ._proto.windrow.v1 import scrape_parameters_pb2 as parameters_pb
from ._proto.windrow.v1 import worker_service_pb2 as pb
from .task import Task


def make_task(lease: pb.Lease, location: str) -> Task:
    """The task of one of the lease's locations."""
    job = lease.scraping_job
    parameters = job.parameters
    reference = datetime.now(UTC)
    if lease.HasField("reference_time"):
        reference = lease.reference_time.ToDatetime(tzinfo=UTC)
    return Task(
        job_id=job.job_id,
        attempt=job.attempt,
        scheduled_job_id=job.scheduled_job_id,
        location=location,
        listing_types=[_name(listing_type) for listing_type in parameters.listing_types],
        past_days=parameters.past_days if parameters.HasField("past_days") else None,
        radius=parameters.radius if parameters.HasField("radius") else None,
        limit=parameters.limit if parameters.HasField("limit") else None,
        reference_time=reference,
        parameters=MessageToDict(parameters, preserving_proto_field_name=True),
    )


def _name(listing_type: parameters_pb.ListingType) -> str:
    """The name, for example FOR_SALE; the number of a type that this version does not know."""
    value = parameters_pb.ListingType.DESCRIPTOR.values_by_number.get(listing_type)
    return value.name.removeprefix("LISTING_TYPE_") if value else str(listing_type)
