"""The program of the supervisor, for a bare interpreter: it finds our package in the directory that is the first argument."""

import sys

if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    from keeper_injector_agent.supervisor.process import main

    sys.exit(main(sys.argv[2:]))
