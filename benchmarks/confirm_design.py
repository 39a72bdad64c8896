"""What a confirmation costs and finds: path trainings and wins by true gain, simulated.

    python benchmarks/confirm_design.py

The plans are decided by the functions that `dmtsearch confirm` calls. Path trainings include
choosing among three candidates on three seeds. Nothing is trained.
"""

from dmtsearch.evidence import Looks, power

CHOOSING = 3 * 3
CONTROLS = 3
PLANS = 2000


def main() -> None:
    looks = Looks.of_plan((5, 8, 12, 16), 1)
    print(f"looks {looks.at}, two-sided p under {2 * looks.bound:.4f} at each, {PLANS} plans")
    print("sd of a difference   true gain   wins   replicates   path trainings   fixed, 16 each")
    for sd in (0.003, 0.006):
        for gain in (0.0, 0.005, 0.01, 0.02):
            found = power(looks, difference=gain, sd=sd, controls=CONTROLS, plans=PLANS)
            paths = CHOOSING + (1 + CONTROLS) * found.replicates
            fixed = CHOOSING + (1 + CONTROLS) * looks.at[-1]
            print(
                f"{100 * sd:18.1f} {100 * gain:11.1f} {found.wins:6.3f} {found.replicates:12.1f} "
                f"{paths:16.1f} {fixed:16d}"
            )


if __name__ == "__main__":
    main()
