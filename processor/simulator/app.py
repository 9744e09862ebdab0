"""The simulator as an ASGI application."""

from starlette.applications import Starlette
from starlette.routing import Route

from processor.simulator.collection import CollectionDoor
from processor.simulator.control import Control
from processor.simulator.options import SimulatorOptions
from processor.simulator.schema_registry import PATH, SchemasDoor
from processor.simulator.tokens import TokenDoor
from processor.simulator.world import World

TOKEN_VERSIONS = ("v1", "v2", "v3", "v4")


def create_app(options: SimulatorOptions | None = None, *, world: World | None = None) -> Starlette:
    """IMS, the inlets, the Schema Registry API and the simulator's own endpoints.

    Args:
        options: what to pretend to be; `None`: the defaults.
        world: parts with clocks of their own, instead of options.

    Raises:
        Misconfigured: the XDM schemas cannot be used.
    """
    world = world or World(options or SimulatorOptions())
    control = Control(world)
    post, get = ["POST"], ["GET"]
    application = Starlette(
        routes=[
            Route("/ims/token", TokenDoor(world), methods=post),
            *(
                Route(f"/ims/token/{version}", TokenDoor(world, version), methods=post)
                for version in TOKEN_VERSIONS
            ),
            Route("/collection/batch/{inlet}", CollectionDoor(world, "batch"), methods=post),
            Route("/collection/{inlet}", CollectionDoor(world, "single"), methods=post),
            Route(PATH + "{schema_id:path}", SchemasDoor(world), methods=get),
            Route("/simulator/faults", control.post_faults, methods=post),
            Route("/simulator/faults", control.get_faults, methods=get),
            Route("/simulator/received", control.get_received, methods=get),
            Route("/simulator/failed", control.get_failed, methods=get),
            Route("/simulator/profiles", control.get_profiles, methods=get),
            Route("/simulator/requests", control.get_requests, methods=get),
            Route("/simulator/summary", control.get_summary, methods=get),
            Route("/simulator/reset", control.reset, methods=post),
            Route("/", control.home, methods=get),
            Route("/livez", control.livez, methods=get),
        ]
    )
    application.state.world = world
    return application
