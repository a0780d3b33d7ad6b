"""Takes every Content-Type for CSV.

Caught by: test_unknown_type_is_415 test_refusals_are_json
"""

from sound import Sound, main


class Broken(Sound):
    def check_types(self):
        if self.headers.get("Content-Type") and not self.headers.get("Content-Encoding"):
            self.headers.replace_header("Content-Type", "text/csv")
        super().check_types()


main(Broken)
