"""Answers GET /invocations with 200.

Caught by: test_other_methods_are_405 test_refusals_are_json
"""

from sound import METHODS, Sound, main


class Broken(Sound):
    def methods(self):
        return {**METHODS, "/invocations": ("GET", "PUT", "DELETE", "POST")}

    def invocations(self):
        super().invocations() if self.command == "POST" else self.reply(200, b"{}")


main(Broken)
