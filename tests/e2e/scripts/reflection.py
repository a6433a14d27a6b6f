"""The behaviours that Windrow began with, through a client that knows nothing but server reflection.

reflection.py ADDRESS [CA_FILE]
"""

import re
import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

JOB = "sold_daily_indy_py"
NAME = "Daily Sold Properties - Indianapolis"
JOBS = "windrow.v1.ScheduledJobService"
RUNS = "windrow.v1.ScrapingJobService"
HEALTH = "grpc.health.v1.Health"
SECONDS = 30


class Server:
    """Calls methods by name, with fields as keyword arguments."""

    def __init__(self, address, ca_file=None):
        self.channel = channel(address, ca_file)
        self.database = ProtoReflectionDescriptorDatabase(self.channel)
        self.pool = DescriptorPool(self.database)

    def call(self, service, method, /, **fields):
        descriptor = self.pool.FindServiceByName(service).methods_by_name[method]
        request = GetMessageClass(descriptor.input_type)(**fields)
        streams = descriptor.server_streaming
        make = self.channel.unary_stream if streams else self.channel.unary_unary
        call = make(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(descriptor.output_type).FromString,
        )
        return call(request, timeout=SECONDS)

    def refused(self, service, method, /, **fields):
        """The error of a call, and its details by type."""
        try:
            self.call(service, method, **fields)
        except grpc.RpcError as error:
            return error, rpc_status.from_call(error).details
        sys.exit(f"{method} was not refused")

    def value(self, enum, name):
        return self.pool.FindEnumTypeByName(f"windrow.v1.{enum}").values_by_name[name].number

    def name(self, enum, number):
        return self.pool.FindEnumTypeByName(f"windrow.v1.{enum}").values_by_number[number].name


def channel(address, ca_file):
    if ca_file is None:
        return grpc.insecure_channel(address)
    with open(ca_file, "rb") as file:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(file.read()))


def check(holds, what):
    if not holds:
        sys.exit(f"does not hold: {what}")


def check_services(server):
    services = set(server.database.get_services())
    check({JOBS, RUNS, HEALTH} <= services, f"reflection lists the services, not {services}")
    for service in ("", JOBS, RUNS):
        status = server.call(HEALTH, "Check", service=service).status
        check(status == 1, f"health of '{service}' is SERVING")


def job(**changed):
    fields = {
        "scheduled_job_id": JOB,
        "name": NAME,
        "cron_expression": "0 2 * * *",
        "parameters": {"locations": ["Indianapolis, IN"], "listing_types": [3], "source": "sample"},
    }
    return fields | changed


def check_trigger(server):
    answer = server.call(RUNS, "TriggerJob", job_id=JOB, request_id="python-1")
    pattern = rf"triggered_{JOB}_\d+_[0-9a-f]{{12}}"
    check(re.fullmatch(pattern, answer.job_id), f"id of a triggered run, not {answer.job_id}")
    pending = server.value("ScrapingJobStatus", "SCRAPING_JOB_STATUS_PENDING")
    check(answer.status == pending, "a triggered run is pending")
    message = f"Triggered scheduled job '{NAME}' to run immediately"
    check(answer.message == message, f"message, not {answer.message}")
    check(answer.HasField("created_at"), "the answer says when the run was made")
    again = server.call(RUNS, "TriggerJob", job_id=JOB, request_id="python-1")
    check(again.job_id == answer.job_id, "a repeated request gives the same run")
    return answer.job_id


def watch(server, run):
    """The last state of a run, once it has ended."""
    statuses, revision = [], 0
    for message in server.call(RUNS, "WatchScrapingJob", job_id=run, after_revision=0):
        if not message.HasField("scraping_job"):
            continue  # Tells a position only.
        state = message.scraping_job
        check(state.revision > revision, "revisions grow")
        revision = state.revision
        name = server.name("ScrapingJobStatus", state.status).rsplit("_", 1)[1]
        if name not in statuses[-1:]:
            statuses.append(name)
    check(statuses == ["PENDING", "RUNNING", "COMPLETED"], f"order of states, not {statuses}")
    return state


def check_history(server, run, count):
    detail = server.call(JOBS, "GetScheduledJob", scheduled_job_id=JOB)
    shown = detail.scheduled_job
    check(shown.run_count == count, f"run_count is {count}, not {shown.run_count}")
    check(detail.total_runs == count, f"total_runs is {count}, not {detail.total_runs}")
    completed = server.value("ScrapingJobStatus", "SCRAPING_JOB_STATUS_COMPLETED")
    check(shown.last_run_status == completed, "last_run_status is completed")
    check(shown.last_run_job_id == run, "last_run_job_id is the run's")
    check(shown.HasField("next_run_at"), "next_run_at is known")
    found = [r for r in detail.job_runs if r.job_id == run]
    check(found and found[0].scheduled_job_id == JOB, "the run is linked to its job")
    check(found[0].properties_scraped > 0, "the run has found something")


def check_list(server):
    active = server.value("ScheduledJobStatus", "SCHEDULED_JOB_STATUS_ACTIVE")
    listed = server.call(JOBS, "ListScheduledJobs", status=active)
    check(JOB in [j.scheduled_job_id for j in listed.scheduled_jobs], "the job is listed")
    check(listed.total >= 1, "the list has a total")


def check_legacy(server, original):
    answer = server.call(RUNS, "TriggerJob", job_id=original)
    check(re.fullmatch(r"immediate_\d+_[0-9a-f]{12}", answer.job_id), "id of a legacy trigger")
    message = f"Triggered existing job {original} to run immediately"
    check(answer.message == message, f"message, not {answer.message}")
    check(answer.scraping_job.original_job_id == original, "original_job_id is set")
    check(answer.scraping_job.scheduled_job_id == JOB, "scheduled_job_id is kept")
    return answer.job_id


def check_feed(server):
    """A watch of many runs goes on from its token, with all that has happened since."""

    def follow(token=""):
        return server.call(RUNS, "WatchScrapingJobs", scheduled_job_id=JOB, resume_token=token)

    synced = server.value("WatchKind", "WATCH_KIND_SYNCED")
    messages = follow()
    token = next(message.resume_token for message in messages if message.kind == synced)
    messages.cancel()
    run = server.call(RUNS, "TriggerJob", job_id=JOB).job_id
    watch(server, run)
    completed = server.value("ScrapingJobStatus", "SCRAPING_JOB_STATUS_COMPLETED")
    seen = []
    for message in follow(token):
        state = message.scraping_job
        check(message.kind == synced or state.job_id == run, "nothing else has happened")
        if message.kind != synced and state.status not in seen:
            seen.append(state.status)
        if state.status == completed:
            break
    names = [server.name("ScrapingJobStatus", status).rsplit("_", 1)[1] for status in seen]
    check(names == ["PENDING", "RUNNING", "COMPLETED"], f"what was missed, not {names}")


def check_refusals(server):
    error, details = server.refused(RUNS, "TriggerJob", job_id="nope")
    check(error.code() == grpc.StatusCode.NOT_FOUND, "an unknown id is NOT_FOUND")
    check(error.details() == "Job not found: nope", f"message, not {error.details()}")
    info = error_details_pb2.ErrorInfo()
    check(any(detail.Unpack(info) for detail in details), "the error has an ErrorInfo")
    check((info.domain, info.reason) == ("windrow", "JOB_NOT_FOUND"), "domain and reason")
    wrong = job(scheduled_job_id="wrong", cron_expression="61 * * * *")
    error, details = server.refused(JOBS, "CreateScheduledJob", scheduled_job=wrong)
    check(error.code() == grpc.StatusCode.INVALID_ARGUMENT, "a wrong cron is INVALID_ARGUMENT")
    bad = error_details_pb2.BadRequest()
    check(any(detail.Unpack(bad) for detail in details), "the error has a BadRequest")
    fields = [violation.field for violation in bad.field_violations]
    check(fields == ["scheduled_job.cron_expression"], f"the field's path, not {fields}")


def main():
    server = Server(*sys.argv[1:])
    check_services(server)
    server.call(JOBS, "CreateScheduledJob", scheduled_job=job())
    run = check_trigger(server)
    watch(server, run)
    check_history(server, run, 1)
    check_list(server)
    again = check_legacy(server, run)
    watch(server, again)
    check_history(server, again, 2)
    check_feed(server)
    check_refusals(server)
    print("All of the seed's behaviours hold.")


if __name__ == "__main__":
    main()
