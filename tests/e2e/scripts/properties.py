"""Prints all properties of a source as JSON lines, read with the default limits of Python's protobuf."""

import json
import sys

import grpc
from google.protobuf.json_format import MessageToDict
from windrow_worker._proto.windrow.v1 import property_service_pb2 as pb

server, source = sys.argv[1:]
with grpc.insecure_channel(server) as channel:
    export = channel.unary_stream(
        "/windrow.v1.PropertyService/ExportProperties",
        request_serializer=pb.ExportPropertiesRequest.SerializeToString,
        response_deserializer=pb.ExportPropertiesResponse.FromString,
    )
    request = pb.ExportPropertiesRequest(filter=pb.PropertyFilter(source=source))
    for response in export(request):
        for found in response.properties:
            print(json.dumps(MessageToDict(found, preserving_proto_field_name=True)))
