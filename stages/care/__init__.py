"""What commands ask of a study and no stage needs: check, plan, why, doctor, export, training."""
