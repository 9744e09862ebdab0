"""Adobe IMS and Experience Platform's streaming inlets as documented, with faults on demand."""
