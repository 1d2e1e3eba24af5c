"""A server of MCP over its standard streams, good or as bad as its first argument says."""

import json
import socket
import subprocess
import sys
import time

how = sys.argv[1] if len(sys.argv) > 1 else "good"


def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def text(words, failed=False):
    return {"content": [{"type": "text", "text": words}], "isError": failed}


def reach(host, port):
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        return "connected"
    except OSError as error:
        return type(error).__name__


def call(name, arguments):
    if name == "add":
        total = arguments["a"] + arguments["b"]
        return {**text(str(total)), "structuredContent": {"sum": total}}
    if name == "reach":
        return text(reach(arguments["host"], arguments["port"]))
    if name == "stay":
        # A child that would outlive its parent anywhere else.
        child = subprocess.Popen(["sleep", arguments["seconds"]], start_new_session=True)
        return text(f"{child.pid} sleeps")
    if name == "fail":
        return text("it did not work", failed=True)
    return None


for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        if how == "other-version":
            version = "1999-01-01"
        else:
            version = message["params"]["protocolVersion"]
        # Servers ask as well, and tell what nobody wanted to know.
        say({"id": "p", "method": "ping"})
        say({"method": "notifications/message", "params": {"level": "info", "data": "hello"}})
        say({"id": message["id"], "result": {"protocolVersion": version, "capabilities": {"tools": {}},
                                             "serverInfo": {"name": "fixture", "version": "1"}}})
    elif method == "tools/list":
        say({"id": message["id"], "result": {"tools": [{"name": "add", "inputSchema": {"type": "object"}}]}})
    elif method == "tools/call":
        if how == "hang":
            time.sleep(3600)
        if how == "flood":
            while True:
                sys.stdout.write("x" * 65536)
        if how == "garbage":
            print("Listening on port 3000 ...", flush=True)
        if how == "exit":
            sys.exit(3)
        found = call(message["params"]["name"], message["params"].get("arguments") or {})
        if found is None:
            say({"id": message["id"], "error": {"code": -32602, "message": "there is no such tool"}})
        else:
            say({"id": message["id"], "result": found})
