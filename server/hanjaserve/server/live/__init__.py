"""Live text: a document that is converted while somebody edits it.

| module | what |
|---|---|
| stream | one LiveConvert call on the event loop: reads, converts, writes |
| session | what a message does, and what is to be converted next; no I/O, no clock |
| outbox | what the client has not been told yet, at most once per segment |
| document | the text as a list of segments; splices |
| changes | what an edit asks for, and what it did |
| cutting | where segments end |
| segments | a list that finds positions and takes splices in a short time, however long it is |
"""
