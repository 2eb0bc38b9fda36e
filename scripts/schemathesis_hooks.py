"""Media types of the services that schemathesis does not know."""
import schemathesis

# Rows of an import: the document has them as text, and they are sent as they are.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
