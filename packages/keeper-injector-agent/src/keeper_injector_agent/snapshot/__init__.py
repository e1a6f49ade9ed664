"""What a relay publishes and agents read: encrypted answers of Keeper as files that never change, below a signed head.

::

    /v1/APPLICATION/head.json       the digest of the index, Keeper's time, and a signature (:mod:`.head`)
    /v1/APPLICATION/index-DIGEST    folders, and the digest of every record in them (:mod:`.content`)
    /v1/APPLICATION/r/DIGEST        one record, encrypted as Keeper sent it
    /v1/APPLICATION/f/DIGEST        one attachment, encrypted as Keeper sent it

Every name but the first contains the SHA-256 of the content, so a reader never combines parts of two snapshots: it reads
the head once, and everything below that is fixed.
"""
