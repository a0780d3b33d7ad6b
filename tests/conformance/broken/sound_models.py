"""A multi-model server that keeps the contract: sound.py and /models. Each file models_*.py breaks one thing of it."""

import json
from pathlib import Path
from urllib.parse import parse_qs, unquote

from sound import MODEL, Refused, Sound, main

loaded = {}
"""Name: url. There is one process, so everybody knows it."""


class SoundModels(Sound):
    def answer(self):
        path, _, query = self.path.partition("?")
        first, *rest = [unquote(part) for part in path.split("/")[1:]]
        if first != "models":
            super().answer()
            return
        try:
            match (self.command, *rest):
                case ("GET",):
                    self.tell(self.page(parse_qs(query)))
                case ("POST",):
                    wish = json.loads(self.body())
                    self.tell(self.load(wish["model_name"], wish["url"]))
                case ("GET", name):
                    self.tell(self.shown(self.known(name)))
                case ("DELETE", name):
                    self.tell(self.unload(self.known(name)))
                case ("POST", name, "invoke"):
                    self.invoke(name)
                case _:
                    raise Refused(405, "not so")
        except Refused as exc:
            self.close_connection = True
            self.refuse(exc)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def tell(self, what):
        self.reply(200, json.dumps(what).encode())

    def known(self, name):
        if name not in loaded:
            raise Refused(404, "not loaded")
        return name

    def load(self, name, url):
        if name in loaded:
            raise Refused(409, "loaded already")
        self.check(url)
        loaded[name] = url
        return self.shown(name)

    def check(self, url):
        if any(path.read_bytes() != MODEL for path in Path(url).iterdir()):
            raise Refused(500, "no model")

    def unload(self, name):
        shown = self.shown(name)
        del loaded[name]
        return shown

    def shown(self, name):
        return {"modelName": name, "modelUrl": loaded[name]}

    def page(self, query):
        names, start = list(loaded), int(query.get("next_page_token", ["0"])[0])
        end = start + int(query.get("limit", ["100"])[0])
        more = {"nextPageToken": str(end)} if end < len(names) else {}
        return {"models": [self.shown(name) for name in names[start:end]], **more}

    def invoke(self, name):
        body = self.body()
        self.known(name)
        self.check_types()
        self.reply(200, self.predict(body), self.reply_type())


if __name__ == "__main__":
    main(SoundModels)
