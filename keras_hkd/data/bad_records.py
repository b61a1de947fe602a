"""The one home of the record checks: what a record must satisfy, and what happens when it does not."""
