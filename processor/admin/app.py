"""The admin application: every route, behind its guard."""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from processor.admin.access import Access
from processor.admin.answers import HANDLERS
from processor.admin.blocking import Blocking
from processor.admin.connect.connectors import Connectors
from processor.admin.connect.kafka import Kafka, RealKafka
from processor.admin.connect.loggers import Loggers
from processor.admin.connect.offsets import Offsets
from processor.admin.connect.plugins import Plugins
from processor.admin.connect.root import Root
from processor.admin.connect.topics import Topics
from processor.admin.health import health_routes
from processor.admin.limits import BoundedBodies, Paced, Slots
from processor.admin.login import Login
from processor.admin.page.routes import Page
from processor.admin.routes import AdminRoute, WithoutTrailingSlash, guarded
from processor.connector.status import Worker
from processor.operations.desk.apart import Desk
from processor.settings import Settings


def admin_routes(
    worker: Worker, settings: Settings, access: Access, kafka: Kafka, page: Page
) -> list[AdminRoute]:
    """Everything that can be asked for, with what it needs."""
    blocking = Blocking()
    return [
        *health_routes(worker, access),
        *Login(access).routes(),
        *Root(kafka, blocking).routes(),
        *Connectors(worker, settings).routes(),
        *Topics(worker, settings.name).routes(),
        *Offsets(worker, settings.name, kafka, blocking).routes(),
        *Plugins(blocking).routes(),
        *Loggers(worker).routes(),
        *page.routes(),
    ]


def create_app(
    worker: Worker,
    settings: Settings,
    access: Access | None = None,
    kafka: Kafka | None = None,
    desk: Desk | None = None,
) -> Starlette:
    """The application over this worker.

    Args:
        worker: whom to ask, and to tell.
        settings: shown, masked; say who may do what.
        access: made of the settings unless given.
        kafka: likewise.
        desk: likewise.

    Whoever serves it calls ``app.state.drain()`` when its end begins, and then awaits
    ``app.state.close()``.
    """
    access = Access(settings.admin) if access is None else access
    kafka = RealKafka(settings) if kafka is None else kafka
    page = Page(worker, settings, desk)
    app = Starlette(
        routes=guarded(admin_routes(worker, settings, access, kafka, page), access, Slots()),
        middleware=[
            Middleware(Paced),
            Middleware(BoundedBodies),
            Middleware(WithoutTrailingSlash),
        ],
        exception_handlers=page.handlers(HANDLERS),
    )
    app.state.drain, app.state.close = page.drain, page.close
    app.router.redirect_slashes = False
    return app
