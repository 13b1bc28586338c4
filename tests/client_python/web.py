"""An application behind the middleware for Starlette, and a browser in front of it."""

import httpx
from conftest import CLIENT, SERVER
from dialstack_sessions import AsyncClient, SessionError
from dialstack_sessions.browser import ACCESS, REFRESH
from dialstack_sessions.starlette import SessionMiddleware
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

HOME = "https://shop.test"
SAME = {"sec-fetch-site": "same-origin"}


async def who(request):
    session = request.session
    return JSONResponse({"in": bool(session), "id": session.identifier, "data": session.data, "why": session.reason})


async def log_in(request):
    await request.session.start(await request.json(), client=request.app.state.log_in)
    return PlainTextResponse("welcome", headers={"Cache-Control": "public, max-age=60"})


async def log_out(request):
    await request.session.revoke()
    return PlainTextResponse("bye")


async def too_late(request):
    async def body():
        yield b"begun"
        try:
            await request.session.start({"userId": "user_1"}, client=request.app.state.log_in)
        except SessionError as error:
            yield str(error).encode()

    return StreamingResponse(body())


async def broken(request):
    raise LookupError("a bug")


async def notes(request):
    async def mine(connection):
        return await (await connection.execute("SELECT body FROM notes")).fetchall()

    return JSONResponse(await request.app.state.client.with_token(request.session.token, mine))


async def devices(request):
    session, client = request.session, request.app.state.log_in
    if "end" in request.query_params:
        return JSONResponse(await session.log_out_device(request.query_params["end"], client=client))
    if request.method == "POST":
        return JSONResponse(await session.log_out_elsewhere(client=client))
    listed = await session.devices(client=client)
    return JSONResponse([[str(device.session_id), device.session_id == session.session_id] for device in listed])


async def socket(websocket):
    await websocket.accept()
    await websocket.send_json({"id": websocket.session.identifier})
    await websocket.close()


ROUTES = [
    Route("/", who, methods=["GET", "POST", "PUT"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
    Route("/late", too_late),
    Route("/notes", notes),
    Route("/devices", devices, methods=["GET", "POST"]),
    Route("/broken", broken),
    WebSocketRoute("/socket", socket),
]


class Browser:
    """A browser, with its jar of cookies, in front of an application."""

    def __init__(self, app, wait):
        self.app, self.wait = app, wait
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app, client=("10.0.0.7", 4000), raise_app_exceptions=False), base_url=HOME)

    def visit(self, method, path, **options):
        options.setdefault("headers", SAME)
        return self.wait(self.http.request(method, path, **options))

    def get(self, path="/", **options):
        return self.visit("GET", path, **options)

    def post(self, path, **options):
        return self.visit("POST", path, **options)

    @property
    def jar(self):
        return dict(self.http.cookies)

    def set(self, **cookies):
        self.http.cookies.clear()
        for name, value in cookies.items():
            self.http.cookies.set({"access": ACCESS, "refresh": REFRESH}[name], value, "shop.test")


async def application(route, shop, middleware, options):
    """An application that connects as two roles, one of which makes sessions, and its pools."""

    async def open_pool(user, **options):
        pool = AsyncConnectionPool(
            kwargs={**route, "user": user}, open=False, **{"min_size": 1, "max_size": 4, **options}
        )
        await pool.open(wait=True)
        return pool

    app = Starlette(routes=ROUTES)
    app.state.pool, log_in = await open_pool(CLIENT, **options), await open_pool(SERVER)
    app.state.client, app.state.log_in = (AsyncClient(pool, **shop.place) for pool in (app.state.pool, log_in))
    app.add_middleware(SessionMiddleware, client=app.state.client, **middleware)
    return app, [app.state.pool, log_in]


def log_a_user_in(browser, **data):
    answer = browser.post("/login", json={"userId": "user_1", **data})
    assert answer.status_code == 200
    return answer
