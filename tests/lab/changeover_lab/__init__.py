"""The lab: two complete sites on one machine, made of real servers, for the integration tests.

Where to look:

* `cli`         the command line, nothing else
* `layout`      what a lab consists of: directory, number, sites, hosts, addresses
* `numbers`     which lab has which number (and so which addresses)
* `install`     Debian packages and downloads
* `namespaces`  how one path means different trees on different hosts
* `processes`   starting, finding and ending the servers
* `waiting`     polling with a deadline
* `servers/`    one file per kind of server
* `data/`       what `load` fills the servers with, and how `count` reads it back
* `commands/`   one file per command
"""
