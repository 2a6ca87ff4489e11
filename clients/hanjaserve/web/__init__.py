"""A page on this machine that converts while one types, and the bridge that it talks to.

    browser --WebSocket, HTTP--> hanjaserve.web --gRPC--> server

A browser can't speak gRPC, least of all in both directions at once. The bridge passes messages on as they
are: it does not look into them, keeps nothing, and logs nothing of them. `site` puts the parts together.
"""
